package check

import "strings"

// reservedWords are refused as a name of anything by the official compiler up to 0.17 at least, whatever language it
// generates. Found by asking it; the test does so again.
const reservedWords = " BEGIN END __CLASS__ __DIR__ __FILE__ __FUNCTION__ __LINE__ __METHOD__ __NAMESPACE__ abstract " +
	"alias and args as assert begin break case catch class clone continue declare def default del delete do dynamic " +
	"elif else elseif elsif end enddeclare endfor endforeach endif endswitch endwhile ensure except exec finally float " +
	"for foreach from function global goto if implements import in inline instanceof interface is lambda module native " +
	"new next nil not or package pass print private protected public raise redo register rescue retry return self " +
	"sizeof static super switch synchronized then this throw transient try undef unless unsigned until use var virtual " +
	"volatile when while with xor yield "

func isReserved(name string) bool { return strings.Contains(reservedWords, " "+name+" ") }
