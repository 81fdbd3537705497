//go:build !mutants

package enginetest

import "errors"

// Mutants needs a build with the tag mutants: without it there are no seeded bugs.
func Mutants(MutantHunt) ([]MutantVerdict, error) {
	return nil, errors.New("enginetest: mutants: this program was built without the tag mutants")
}
