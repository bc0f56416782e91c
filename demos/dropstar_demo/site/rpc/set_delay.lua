--: args: {delay: {type: number, required: true}}
-- The slider: kept in shared state, so that it is there after a reload and a restart.
function ProcessBlock(pipe_data, block, request_state, input_data)
  local delay = math.min(2, math.max(0.01, input_data.delay))
  unidist.sharedstate.set("poller", "delay", delay)
  return {delay_shown = string.format("%.2f s", delay)}
end
