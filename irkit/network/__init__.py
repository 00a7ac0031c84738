"""What NetworkPolicies mean for one pod: pure functions over objects that were read."""
