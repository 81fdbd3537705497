package runtime

// mutant is a bug that somebody had, to be switched on in tests of the tests.
type mutant uint8

// mutCompactEarly (M28) drops the log when a snapshot is begun, not when it is durable.
const mutCompactEarly mutant = 1
