function ProcessBlock(pipe_data, block, request_state, input_data)
  return {
    title = "Example page of " .. request_state.package,
    body = "Filled by a script for " .. (input_data.who or "whoever asks") .. ".",
  }
end
