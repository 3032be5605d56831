package transport

import (
	"mime"
	"regexp"
	"strconv"
	"strings"
)

// mediaType says how an answer is written.
type mediaType int

// The media types of answers. Clients of the older one, application/json, know an
// answer from a proxy's by the status 200 alone, so that every well-formed request
// gets it (GraphQL over HTTP, 6.4.1).
const (
	native mediaType = iota
	legacy
)

var contentTypes = [...][]string{
	native: {"application/graphql-response+json; charset=utf-8"},
	legacy: {"application/json; charset=utf-8"},
}

// ranges are the media ranges that name each media type, the most specific
// first, which is the one that counts (RFC 9110, 12.5.1).
var ranges = [...][]string{
	native: {"application/graphql-response+json", "application/*", "*/*"},
	legacy: {"application/json", "application/*", "*/*"},
}

// negotiate returns the media type that the client prefers, and the native one if
// it has no preference. ok is false if the client accepts neither.
func negotiate(accept []string) (media mediaType, ok bool) {
	if len(accept) == 0 || len(accept) == 1 && (accept[0] == "" || accept[0] == "*/*") {
		return native, true
	}
	offered := acceptRanges(strings.Join(accept, ","))
	forNative, forLegacy := quality(offered, ranges[native]), quality(offered, ranges[legacy])
	if forLegacy > forNative {
		return legacy, true
	}
	return native, forNative > 0
}

// namesNative reports whether the client accepts the native media type by its name, and
// so was written for it.
func namesNative(accept []string) bool {
	return acceptRanges(strings.Join(accept, ","))[ranges[native][0]] > 0
}

// maxRanges is how many media ranges of a header are read.
const maxRanges = 50

// acceptRanges returns the quality of each media range of an Accept header, from 0
// to 1. It skips malformed ranges.
func acceptRanges(header string) map[string]float64 {
	offered := map[string]float64{}
	for part := range strings.SplitSeq(header, ",") {
		if len(offered) == maxRanges {
			break
		}
		name, options, err := mime.ParseMediaType(part)
		if err != nil || options["charset"] != "" && !strings.EqualFold(options["charset"], "utf-8") {
			continue
		}
		offered[name] = max(offered[name], weight(options["q"]))
	}
	return offered
}

var qValue = regexp.MustCompile(`^(0(\.\d{0,3})?|1(\.0{0,3})?)$`)

// weight returns a q-value (RFC 9110, 12.4.2): 1 if it is left out, 0 if it is
// malformed.
func weight(q string) float64 {
	if q == "" {
		return 1
	}
	if !qValue.MatchString(q) {
		return 0
	}
	w, _ := strconv.ParseFloat(q, 64)
	return w
}

// quality returns the quality of the first of ranges that was offered, or 0.
func quality(offered map[string]float64, ranges []string) float64 {
	for _, name := range ranges {
		if q, ok := offered[name]; ok {
			return q
		}
	}
	return 0
}
