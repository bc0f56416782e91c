function ProcessBlock(pipe_data)
  local total = 5
end
