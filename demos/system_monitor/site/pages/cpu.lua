--: title: CPU
function ProcessBlock() return {tab = "cpu"} end
