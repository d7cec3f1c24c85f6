-- What was asked since the first run of these tags cost.
SELECT sum(cost_usd) FROM branches
WHERE asked_at >= (SELECT min(started_at) FROM runs WHERE list_contains($tags, settings->>'tag'))
