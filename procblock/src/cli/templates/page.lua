--: title: NAME
--: args: {who: {default: world, info: Who is greeted.}}
-- templates/NAME.html shows what this returns; an edit of either is seen at the next request.
function ProcessBlock(pipe_data, block, request_state, input_data)
  return {
    who = input_data.who,
    visits = unidist.sharedcounter.increment("NAME visits"),
    now = time.format(),
  }
end
