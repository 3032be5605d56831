package changes

import "reflect"

// Without takes an effect, a field of Effects, away from an action until restore is
// called: tests show that it would be missed. Nothing else may run meanwhile.
func Without(a Action, effect string) (restore func()) {
	flag := reflect.ValueOf(&a.definition.effects).Elem().FieldByName(effect)
	flag.SetBool(false)
	return func() { flag.SetBool(true) }
}
