--: args:
--:   kind: {type: text, required: true}
--:   name: {type: text, required: true}
--:   is_on: {type: boolean, info: "Without it the choice is forgotten."}
-- Switches an item on or off. The choice is kept in the store, so that it outlives a restart.
function ProcessBlock(pipe_data, block, request_state, input_data)
  local key = input_data.kind .. "/" .. input_data.name
  if not unidist.sharedstate.exists("items", key) then error("there is no item " .. key) end
  if input_data.is_on == nil then
    unidist.sharedstate.remove("switched", key)
  else
    unidist.sharedstate.set("switched", key, input_data.is_on)
  end
  return {}
end
