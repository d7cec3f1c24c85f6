-- From version 1 to 2: what ran the tests and what kept the model's code in. Rollouts recorded before do not say.
ALTER TABLE rollouts ADD COLUMN runner VARCHAR;
ALTER TABLE rollouts ADD COLUMN sandbox VARCHAR;
ALTER TABLE test_runs ADD COLUMN judge VARCHAR;
ALTER TABLE test_runs ADD COLUMN sandbox VARCHAR;
