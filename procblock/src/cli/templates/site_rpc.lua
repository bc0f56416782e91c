-- The reply's keys are the ids of the elements that it fills.
function ProcessBlock()
  return {presses = unidist.sharedcounter.increment("presses")}
end
