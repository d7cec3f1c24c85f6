-- The steps of some rollouts as the viewer walks them. $ids is a list of rollout ids.
SELECT
    rollout_id,
    step,
    new_messages::VARCHAR AS new_messages,
    window_policy,
    raw,
    finish_reason,
    strict_valid,
    lenient_valid,
    error_code,
    error_message,
    action::VARCHAR AS action,
    tool,
    executed_ok,
    tool_code,
    result,
    flags,
    prompt_tokens,
    completion_tokens,
    latency_s,
    tool_s
FROM steps
WHERE rollout_id IN (SELECT unnest($ids))
ORDER BY rollout_id, step;
