--: title: Items
function ProcessBlock() return {tab = "items"} end
