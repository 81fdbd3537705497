//go:build !mutants

package enginetest

import (
	"errors"
	"time"
)

// Mutants needs a build with the tag mutants: without it there are no seeded bugs.
func Mutants(uint64, time.Duration) ([]MutantVerdict, error) {
	return nil, errors.New("enginetest: mutants: this program was built without the tag mutants")
}
