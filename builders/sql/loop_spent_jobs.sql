-- What the jobs on these training files cost; of one whose charge is not known, its estimate.
SELECT sum(coalesce(cost_usd, estimate_usd)) FROM jobs WHERE list_contains($train_sha256s, train_sha256)
