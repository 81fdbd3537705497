package oracle_test

import (
	"fmt"

	"github.com/seed-814fcd60/raftwire/engine/internal/sim/oracle"
)

func Example() {
	history := []oracle.Op{
		{Process: 1, Kind: oracle.Put, Key: "x", Value: "1", Start: 10, End: 20, Status: oracle.OK},
		{Process: 2, Kind: oracle.Get, Key: "x", Start: 30, End: 40, Status: oracle.OK},
	}
	report := oracle.Linearizable(history, oracle.Options{})
	fmt.Println(report.Verdict)
	fmt.Println(report.Violation.Sentence)
	// Output:
	// illegal
	// no order of the 2 operations on key "x" explains all answers; one that explains 1 leaves out: get "x" -> nothing by process 2, 30 to 40, ok
}

func ExampleLists() {
	history := []oracle.Op{
		{Process: 1, Kind: oracle.Append, Key: "l", Value: "1.1;", Start: 10, End: 20, Status: oracle.OK},
		{Process: 1, Kind: oracle.Append, Key: "l", Value: "1.2;", Start: 30, Status: oracle.Info}, // sent again behind the client's back
		{Process: 2, Kind: oracle.Get, Key: "l", Found: true, Result: "1.1;1.2;1.2;", Start: 50, End: 60, Status: oracle.OK},
	}
	for _, v := range oracle.Lists(history) {
		fmt.Println(v.Check, v.Sentence)
	}
	// Output:
	// duplicate get "l" -> "1.1;1.2;1.2;" by process 2, 50 to 60, ok returns "1.2;" twice, at 1 and 2
}
