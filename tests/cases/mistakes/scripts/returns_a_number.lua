function ProcessBlock(pipe_data)
  return 5
end
