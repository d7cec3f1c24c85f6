-- A dataset that was built from this store. Made when the first one is, so stores of every version may have it.
CREATE TABLE IF NOT EXISTS datasets (
    path VARCHAR NOT NULL,                  -- its folder, absolute
    manifest_sha256 VARCHAR NOT NULL,       -- hash of its manifest.json, which names the hashes of its other files
    created_at TIMESTAMP NOT NULL,          -- when it was built, UTC
    kind VARCHAR NOT NULL,                  -- sft or preference
    format VARCHAR NOT NULL,                -- together, openai, trl, sharegpt or parquet
    train_rows BIGINT NOT NULL,
    val_rows BIGINT NOT NULL,
    manifest JSON USING COMPRESSION zstd,   -- its manifest.json
    PRIMARY KEY (path, manifest_sha256)
);
