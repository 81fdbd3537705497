package parse

import "strings"

// cleanDoc turns what stands between /** and */ into plain lines: the column of stars goes, then the indentation that
// all lines but the first share, then blank lines at both ends. Same result as the official compiler's, except that it
// keeps a trailing star and a final newline.
func cleanDoc(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\r", ""), "\uFFFD")
	lines := strings.Split(text, "\n")
	lines[0] = strings.TrimLeft(lines[0], " \t")
	last := len(lines) - 1
	lines[last] = strings.TrimRight(lines[last], "*")
	if rest := lines[1:]; len(rest) > 0 {
		if strings.Trim(rest[len(rest)-1], " \t") == "" {
			rest[len(rest)-1] = ""
		}
		removeStars(rest)
		removeIndent(rest)
	}
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

// removeStars removes white space and star from each line if every line that is not blank has its star in the same
// column; else it changes nothing.
func removeStars(lines []string) {
	column := -1
	for _, line := range lines {
		at := indentOf(line)
		switch {
		case at == len(line):
		case line[at] != '*' || column >= 0 && at != column:
			return
		default:
			column = at
		}
	}
	for i, line := range lines {
		lines[i] = line[min(column+1, len(line)):]
	}
}

func removeIndent(lines []string) {
	least := -1
	for _, line := range lines {
		if at := indentOf(line); at < len(line) && (least < 0 || at < least) {
			least = at
		}
	}
	for i, line := range lines {
		lines[i] = line[min(max(least, 0), len(line)):]
	}
}
