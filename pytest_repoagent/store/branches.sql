-- One-step replies of a model at states that another model was recorded at; made by `repoagent build branch`.
CREATE TABLE IF NOT EXISTS branches (
    state_hash VARCHAR NOT NULL,                    -- steps.prompt_sha256 of the state
    model VARCHAR NOT NULL,                         -- who was asked, provider:name
    temperature DOUBLE NOT NULL,                    -- it was asked with
    max_tokens INTEGER NOT NULL,                    -- it was asked with
    sample INTEGER NOT NULL,                        -- 0-based, among equal questions
    seed BIGINT NOT NULL,                           -- given to the model; follows from state and sample
    rollout_id VARCHAR NOT NULL,                    -- a rollout that was at the state
    step INTEGER NOT NULL,                          -- its step there
    asked_at TIMESTAMP NOT NULL,                    -- UTC
    raw VARCHAR USING COMPRESSION zstd,             -- the reply; NULL where there was none
    finish_reason VARCHAR,                          -- as in steps
    strict_valid BOOLEAN,                           -- as in steps; NULL without a reply
    lenient_valid BOOLEAN,                          -- as in steps; NULL without a reply
    error_code VARCHAR,                             -- as in steps
    error_family VARCHAR,                           -- as in steps
    prompt_tokens BIGINT,                           -- of this call; NULL where not counted
    completion_tokens BIGINT,                       -- of this call; NULL where not counted
    cost_usd DOUBLE,                                -- NULL where the price or the tokens are unknown
    latency_s DOUBLE NOT NULL,                      -- seconds the model took
    extra JSON USING COMPRESSION zstd,              -- what the model reported besides its text
    error VARCHAR USING COMPRESSION zstd,           -- why there is no reply; such questions are asked again
    cause VARCHAR,                                  -- whose fault that was
    PRIMARY KEY (state_hash, model, temperature, max_tokens, sample)
);
