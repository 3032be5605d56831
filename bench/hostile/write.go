package hostile

import (
	"fmt"
	"strings"
)

// Each joins the results of write for 0 to n-1.
func Each(n int, write func(i int) string) string {
	var text strings.Builder
	for i := range n {
		text.WriteString(write(i))
	}
	return text.String()
}

// nested puts n times before and after around innermost, and beside before each of
// them.
func nested(n int, before, beside, innermost, after string) string {
	if beside != "" {
		beside += "id" + after
	}
	return strings.Repeat(beside+before, n) + innermost + strings.Repeat(after, n)
}

// doubled selects one name twice, n levels deep.
func doubled(n int) string {
	text := "__typename"
	for range n {
		text = "...{" + text + "}...{" + text + "}"
	}
	return "{" + text + "}"
}

func spreads(from, to int) string {
	return Each(to-from, func(i int) string { return fmt.Sprintf("...f%d ", from+i) })
}

func fragments(n int, body func(i int) string) string {
	return Each(n, func(i int) string { return fmt.Sprintf("fragment f%d on Query{%s}", i, body(i)) })
}

// chain returns n fragments that spread the next one each.
func chain(name string, n int, body string) string {
	return chainOn("Query", name, n, body, "...%s")
}

func chainOn(on, name string, n int, body, spread string) string {
	return Each(n, func(i int) string {
		return fmt.Sprintf("fragment %s%d on %s{%s "+spread+"}", name, i, on, body, fmt.Sprint(name, i+1))
	}) + fmt.Sprintf("fragment %s%d on %s{%s}", name, n, on, body)
}

// bomb returns n fragments that spread the next one so many times each.
func bomb(n, times int) string {
	return "{...f0}" + fragments(n, func(i int) string { return strings.Repeat(fmt.Sprintf("...f%d ", i+1), times) }) +
		fmt.Sprintf("fragment f%d on Query{__typename}", n)
}
