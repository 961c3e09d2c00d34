"""What tests share: servers and hosts with faults, makers of archives, independent counts."""
