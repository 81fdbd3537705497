//go:build mutants

package engine

// ForgetSessions switches M27 on.
func (c *Config) ForgetSessions() { c.noSessions = true }
