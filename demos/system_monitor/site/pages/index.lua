--: title: Overview
function ProcessBlock() return {tab = "overview"} end
