--: title: Processes
function ProcessBlock() return {tab = "processes"} end
