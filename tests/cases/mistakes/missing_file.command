tiemuot.yaml
