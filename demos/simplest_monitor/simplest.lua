-- The simplest script: it looks at nothing and returns one number.
function ProcessBlock()
  return {random = math.random(0, 100)}
end
