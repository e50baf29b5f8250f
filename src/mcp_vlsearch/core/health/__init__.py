"""What ``doctor`` looks at, one function for each check, and what it can mend."""
