//go:build mutants

package engine

// ForgetSessions switches M27 on.
func (c *Config) ForgetSessions() { c.noSessions = true }

// RetryProposals switches M49 on.
func (c *Config) RetryProposals() { c.retries = true }
