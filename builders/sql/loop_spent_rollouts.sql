-- What the rollouts of these tags cost, as far as it is known.
SELECT sum(r.cost_usd) FROM rollouts r JOIN runs s USING (run_id) WHERE list_contains($tags, s.settings->>'tag')
