-- Fine-tuning jobs. Made when the first one is recorded, so stores of every version may have it.
CREATE TABLE IF NOT EXISTS jobs (
    job_id VARCHAR PRIMARY KEY,             -- the provider's id
    provider VARCHAR NOT NULL,              -- who trains: together
    method VARCHAR,                         -- sft or dpo; NULL for a job that was not submitted from here
    base_model VARCHAR,                     -- what was tuned; of a job from a checkpoint, the base of it all
    from_job VARCHAR,                       -- jobs.job_id whose last checkpoint it started from; NULL where from the base
    name VARCHAR,                           -- the suffix it was submitted with, made of the hash of all that shapes it
    train_path VARCHAR,                     -- the training file, absolute
    train_sha256 VARCHAR,                   -- its hash; datasets.manifest names it too
    train_file_id VARCHAR,                  -- its id at the provider
    val_path VARCHAR,                       -- the validation file; NULL without one
    val_sha256 VARCHAR,                     -- its hash
    val_file_id VARCHAR,                    -- its id at the provider
    request JSON USING COMPRESSION zstd,    -- what was sent to create it, with every hyperparameter; no key is in it
    estimate_usd DOUBLE,                    -- what the provider said it would cost; NULL where it could not say
    estimate_tokens BIGINT,                 -- tokens that was for: epochs of training and evaluations
    submitted_at TIMESTAMP,                 -- UTC; NULL for a job that was not submitted from here
    status VARCHAR NOT NULL,                -- the provider's word, as last seen: pending, running, completed, error, ...
    status_history STRUCT(status VARCHAR, seen_at TIMESTAMP)[] NOT NULL, -- each status when it was first seen here, UTC
    output_name VARCHAR,                    -- name of the tuned model; it can be asked only behind an endpoint
    model_object_id VARCHAR,                -- the tuned weights at the provider; NULL until it is completed
    cost_usd DOUBLE,                        -- what was charged; NULL while that is not known
    error VARCHAR                           -- why it failed, in the provider's words; NULL where it did not
);
