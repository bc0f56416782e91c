--: read only: true
--: args:
--:   a: {type: number, required: true}
--:   b: {type: number, default: 1, info: What is added.}
-- Called as /rpc/NAME?a=1&b=2. Without "read only" it takes POST alone.
function ProcessBlock(pipe_data, block, request_state, input_data)
  return {sum = input_data.a + input_data.b}
end
