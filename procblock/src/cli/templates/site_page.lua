--: title: NAME
function ProcessBlock()
  return {presses = unidist.sharedcounter.get("presses")}
end
