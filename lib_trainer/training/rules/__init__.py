"""What settings say wrongly, alone or together: a file per fold of the form, joined in `config_rules`."""
