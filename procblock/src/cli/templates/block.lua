-- What it returns is merged into pipe data, which the next steps see. An edit is seen at the next run.
function ProcessBlock(pipe_data)
  local rolls = json.array()
  local total = 0
  for index = 1, pipe_data.dice do
    rolls[index] = math.random(6)
    total = total + rolls[index]
  end
  return {rolls = rolls, total = total}
end
