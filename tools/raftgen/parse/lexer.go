package parse

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-814fcd60/raftwire/tools/raftgen/ast"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokBad           // text says what was found, want what was expected
	tokInt
	tokDouble
	tokString
	tokName    // may have dots
	tokKeyword // a word of the grammar
	tokSymbol  // one byte
)

type token struct {
	kind      tokenKind
	firstWord bool // first token of its line: where reading goes on after a fault
	word      bool // of a tokInt: written as true or false
	pos       ast.Pos
	text      string
	want      string
	num       int64
	float     float64
}

// String says what was found, for an error message.
func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the file"
	case tokBad:
		return t.text
	case tokString:
		return "the text " + strconv.Quote(shorten(t.text))
	case tokName:
		return "the name " + shorten(t.text)
	case tokInt, tokDouble:
		if t.word {
			return t.text
		}
		return "the number " + shorten(t.text)
	}
	return strconv.Quote(t.text)
}

func shorten(text string) string {
	const most = 40
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}

// comment is the text of the latest /** */ that no definition has taken yet.
type comment struct {
	text string
	pos  ast.Pos
}

type lexer struct {
	src       string
	at        int // offset of the next byte
	line      int
	lineStart int // offset of the line's first byte
	lastLine  int // the line of the previous token
	doc       comment
	firstDoc  comment // the first doc comment of the file
}

func newLexer(src []byte) *lexer {
	l := &lexer{src: string(src), line: 1}
	l.src = strings.TrimPrefix(l.src, "\uFEFF")
	return l
}

func (l *lexer) pos() ast.Pos { return ast.Pos{Line: l.line, Col: l.at - l.lineStart + 1} }

// next returns the next token; doc comments on the way are kept in l.doc.
func (l *lexer) next() token {
	if bad, ok := l.skipBlank(); !ok {
		return bad
	}
	t := token{kind: tokEOF, pos: l.pos(), firstWord: l.line != l.lastLine}
	l.lastLine = l.line
	if l.at == len(l.src) {
		return t
	}
	switch c := l.src[l.at]; {
	case isLetter(c):
		l.name(&t)
	case isDigit(c) || c == '+' || c == '-' || c == '.':
		l.number(&t)
	case c == '"' || c == '\'':
		l.literal(&t)
	case strings.IndexByte(":;,{}()=<>[]*&", c) >= 0:
		t.kind, t.text = tokSymbol, l.src[l.at:l.at+1]
		l.at++
	default:
		_, size := utf8.DecodeRuneInString(l.src[l.at:])
		t.bad("the character "+strconv.QuoteToASCII(l.src[l.at:l.at+size]), "a word, a number, a text or a symbol")
		l.at += size
	}
	return t
}

func (t *token) bad(found, want string) { t.kind, t.text, t.want = tokBad, found, want }

// skipBlank skips white space and the three styles of comment. It fails on a comment without an end.
func (l *lexer) skipBlank() (token, bool) {
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		switch c := rest[0]; {
		case c == '\n':
			l.at++
			l.newLine()
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '#' || strings.HasPrefix(rest, "//"):
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				l.at += n
			} else {
				l.at = len(l.src)
			}
		case strings.HasPrefix(rest, "/*"):
			start := l.pos()
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				l.at = len(l.src)
				t := token{pos: start}
				t.bad("a comment without an end", `"*/"`)
				return t, false
			}
			l.takeComment(rest[:n+4], start)
		default:
			return token{}, true
		}
	}
	return token{}, true
}

// takeComment moves past text, which is a whole /* */ comment, and keeps it if it is documentation.
func (l *lexer) takeComment(text string, start ast.Pos) {
	for i := range len(text) {
		l.at++
		if text[i] == '\n' {
			l.newLine()
		}
	}
	body := strings.TrimSuffix(text[2:], "*/")
	if !strings.HasPrefix(body, "*") || strings.Trim(body, "*") == "" {
		return
	}
	l.doc = comment{text: cleanDoc(body[1:]), pos: start}
	if l.firstDoc.pos.Line == 0 {
		l.firstDoc = l.doc
	}
}

func (l *lexer) newLine() { l.line, l.lineStart = l.line+1, l.at }

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// name reads letters, digits, _ and dots inside: a dot belongs to the name only if a letter, digit or _ follows.
func (l *lexer) name(t *token) {
	start := l.at
	for l.at < len(l.src) {
		c := l.src[l.at]
		dot := c == '.' && l.at+1 < len(l.src) && (isLetter(l.src[l.at+1]) || isDigit(l.src[l.at+1]))
		if !dot && !isLetter(c) && !isDigit(c) {
			break
		}
		l.at++
	}
	t.kind, t.text = tokName, l.src[start:l.at]
	switch {
	case t.text == "true":
		t.kind, t.num, t.word = tokInt, 1, true
	case t.text == "false":
		t.kind, t.num, t.word = tokInt, 0, true
	case keywords[t.text]:
		t.kind = tokKeyword
	}
}

// number reads [+-] then 0x and hex digits, or digits with an optional fraction and exponent.
func (l *lexer) number(t *token) {
	start := l.at
	if c := l.src[l.at]; c == '+' || c == '-' {
		l.at++
	}
	digits := l.at
	if strings.HasPrefix(l.src[l.at:], "0x") && l.at+2 < len(l.src) && isHex(l.src[l.at+2]) {
		for l.at += 2; l.at < len(l.src) && isHex(l.src[l.at]); {
			l.at++
		}
		l.integer(t, start, digits)
		return
	}
	l.digits()
	whole := l.at
	if l.at+1 < len(l.src) && l.src[l.at] == '.' && isDigit(l.src[l.at+1]) {
		l.at++
		l.digits()
	}
	if l.at == digits {
		l.at = max(l.at, start+1)
		t.bad(strconv.Quote(l.src[start:l.at]), "a number")
		return
	}
	l.exponent()
	if l.at == whole {
		l.integer(t, start, digits)
		return
	}
	t.kind, t.text = tokDouble, l.src[start:l.at]
	value, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		t.bad("the number "+shorten(t.text), "one that a double can hold")
	}
	t.float = value
}

func (l *lexer) digits() {
	for l.at < len(l.src) && isDigit(l.src[l.at]) {
		l.at++
	}
}

// exponent reads e, an optional sign and digits, or nothing.
func (l *lexer) exponent() {
	at := l.at
	if at == len(l.src) || l.src[at] != 'e' && l.src[at] != 'E' {
		return
	}
	at++
	if at < len(l.src) && (l.src[at] == '+' || l.src[at] == '-') {
		at++
	}
	if at < len(l.src) && isDigit(l.src[at]) {
		l.at = at
		l.digits()
	}
}

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// integer turns src[start:at] into a token; digits is the offset past the sign.
func (l *lexer) integer(t *token, start, digits int) {
	t.kind, t.text = tokInt, l.src[start:l.at]
	sign, text, base := l.src[start:digits], l.src[digits:l.at], 10
	if len(text) > 2 && text[1] == 'x' {
		text, base = text[2:], 16
	}
	value, err := strconv.ParseInt(sign+text, base, 64)
	if err != nil {
		t.bad("the number "+shorten(t.text), "one that fits in 64 bits")
	}
	t.num = value
}

// literal reads a text in single or double quotes. A line may not end in it.
func (l *lexer) literal(t *token) {
	quote := l.src[l.at]
	l.at++
	var text strings.Builder
	for l.at < len(l.src) && l.src[l.at] != '\n' {
		c := l.src[l.at]
		l.at++
		switch {
		case c == quote:
			if t.kind != tokBad {
				t.kind, t.text = tokString, text.String()
			}
			return
		case c != '\\':
			text.WriteByte(c)
		case l.at < len(l.src) && strings.IndexByte(`rnt"'\`, l.src[l.at]) >= 0:
			text.WriteByte(unescape(l.src[l.at]))
			l.at++
		case l.at < len(l.src) && l.src[l.at] != '\n':
			if t.kind != tokBad {
				t.pos = ast.Pos{Line: l.line, Col: l.at - l.lineStart}
				t.bad("the escape "+strconv.QuoteToASCII(l.src[l.at-1:l.at+1]), `one of \r \n \t \" \' \\`)
			}
			l.at++
		}
	}
	t.bad("a text that its line does not end", strconv.QuoteRune(rune(quote)))
}

func unescape(c byte) byte {
	switch c {
	case 'r':
		return '\r'
	case 'n':
		return '\n'
	case 't':
		return '\t'
	}
	return c
}
