--: read only: true
--: allow: [file]
--: args: {file: {type: text, required: true}}
-- The text of one of the demo's own files, for "code and data exposed".
local SHOWN = {
  ["dropstar_demo.yaml"] = true,
}

local function is_shown(name)
  if SHOWN[name] then return true end
  return name:match("^scripts/[%w_]+%.lua$") or name:match("^site/%a+/[%w_]+%.%a+$")
end

function ProcessBlock(pipe_data, block, request_state, input_data)
  if not is_shown(input_data.file) then error("no such file is shown: " .. input_data.file) end
  return {source_name = input_data.file, source_text = file.read(input_data.file)}
end
