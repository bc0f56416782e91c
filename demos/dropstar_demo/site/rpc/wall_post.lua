--: args: {text: {type: text, required: true}}
function ProcessBlock(pipe_data, block, request_state, input_data)
  local text = input_data.text:match("^%s*(.-)%s*$")
  if text ~= "" then
    unidist.messagequeue.add("wall", {text = text:sub(1, 500), time = time.format(time.now(), "%H:%M:%S")})
  end
  return {}
end
