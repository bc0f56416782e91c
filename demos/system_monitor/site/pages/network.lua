--: title: Network
function ProcessBlock() return {tab = "network"} end
