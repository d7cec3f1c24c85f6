-- What a rollout of this model cost on average; NULL where that is not known.
SELECT avg(cost_usd) FROM rollouts WHERE model = $model
