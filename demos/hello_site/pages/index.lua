--: title: Hello
--: args: {who: {default: world, info: Who is greeted.}}
function ProcessBlock(pipe_data, block, request_state, input_data)
  return {who = input_data.who, visits = unidist.sharedcounter.increment("visits")}
end
