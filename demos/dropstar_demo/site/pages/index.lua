--: title: CPU monitoring
-- The newest CPU numbers; the chart follows by itself.
function ProcessBlock()
  return {tab = "cpu", sources = {"dropstar_demo.yaml", "site/templates/index.html", "site/templates/layout.html"}}
end
