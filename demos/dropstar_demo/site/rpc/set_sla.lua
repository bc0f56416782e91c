--: args:
--:   target: {type: number, required: true}
--:   tolerance: {type: number, required: true}
function ProcessBlock(pipe_data, block, request_state, input_data)
  local settings = {
    target = math.min(1000, math.max(0, input_data.target)),
    tolerance = math.min(100, math.max(0, input_data.tolerance)),
  }
  unidist.sharedstate.set("sla", "settings", settings)
  return {sla_note = string.format("Agreed: %g a second, less %g %%", settings.target, settings.tolerance)}
end
