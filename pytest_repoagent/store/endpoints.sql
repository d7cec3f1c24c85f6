-- Dedicated endpoints that were made to serve tuned models, paid by the minute. Made when the first one is recorded.
CREATE TABLE IF NOT EXISTS endpoints (
    endpoint_id VARCHAR PRIMARY KEY,    -- the provider's id
    job_id VARCHAR NOT NULL,            -- jobs.job_id whose model it serves
    name VARCHAR NOT NULL,              -- model name of a chat request
    hardware VARCHAR NOT NULL,          -- such as 1xnvidia-h100-80gb
    usd_per_hour DOUBLE NOT NULL,       -- price of the hardware when it was made
    created_at TIMESTAMP NOT NULL,      -- UTC
    removed_at TIMESTAMP                -- UTC; NULL where it was not removed from here: it may be running
);
