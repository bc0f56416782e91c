function Proces(pipe_data)
 return {}
end
