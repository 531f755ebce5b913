package mapping

// admitObject admits the fields of an object while there is room, in their order. What an object
// itself costs includes the rest that it may have.
func (f *Fitter) admitObject(start int, at int32, depth, arrays int) {
	id := f.newObject()
	for m, ok := nextMember(f.doc, start+1); ok; m, ok = nextMember(f.doc, m.end) {
		p, parts := f.resolve(m.key, at, depth, id)
		if p == 0 {
			continue
		}
		objects, _ := f.holds(m.start, depth+parts, arrays)
		before := len(f.admitted)
		if f.doc[m.start] == '{' && objects {
			if f.admitPath(p, at, true) {
				f.admitObject(m.start, p, depth+parts, arrays)
			} else {
				f.takeBack(before)
			}
			continue
		}
		if !f.admitWhole(m.start, p, at, depth+parts, arrays) {
			f.takeBack(before)
		}
	}
}

// admitWhole admits all that is in a value, or reports that there is no room.
func (f *Fitter) admitWhole(start int, p, at int32, depth, arrays int) bool {
	objects, leaves := f.holds(start, depth, arrays)
	switch {
	case !objects && !leaves:
		return true
	case leaves:
		return f.admitPath(p, at, false)
	case !f.admitPath(p, at, true):
		return false
	case f.doc[start] == '[':
		for m, ok := nextElement(f.doc, start+1); ok; m, ok = nextElement(f.doc, m.end) {
			if !f.admitWhole(m.start, p, at, depth, arrays+1) {
				return false
			}
		}
		return true
	}
	id := f.newObject()
	for m, ok := nextMember(f.doc, start+1); ok; m, ok = nextMember(f.doc, m.end) {
		inner, parts := f.resolve(m.key, p, depth, id)
		if inner == 0 || !f.admitWhole(m.start, inner, p, depth+parts, arrays) {
			return false
		}
	}
	return true
}

// admitPath admits a path, with those above it up to an object that is admitted, or reports that
// there is no room.
func (f *Fitter) admitPath(p, top int32, asObject bool) bool {
	for up := f.paths.all[p].parent; up != top && up != root; up = f.paths.all[up].parent {
		if !f.admitOne(up, true) {
			return false
		}
	}
	return f.admitOne(p, asObject)
}

const objectCost = 3 // itself, and the text for its rest

func (f *Fitter) admitOne(p int32, asObject bool) bool {
	t := &f.paths.all[p]
	cost := leafFields(t)
	if asObject {
		cost = objectCost
	}
	switch {
	case asObject && t.objectFits, !asObject && t.leafFits:
		return true
	case f.used+cost > maxFields:
		return false
	}
	f.used += cost
	if asObject {
		t.objectFits = true
		f.admitted = append(f.admitted, p)
	} else {
		t.leafFits = true
		f.admitted = append(f.admitted, -p)
	}
	return true
}

// takeBack takes back what was admitted since.
func (f *Fitter) takeBack(before int) {
	for _, p := range f.admitted[before:] {
		if p > 0 {
			f.paths.all[p].objectFits = false
			f.used -= objectCost
			continue
		}
		f.paths.all[-p].leafFits = false
		f.used -= leafFields(&f.paths.all[-p])
	}
	f.admitted = f.admitted[:before]
}

// fits reports whether a member is written in its place.
func (f *Fitter) fits(start int, p int32, depth, arrays int) bool {
	if !f.crowded {
		return true
	}
	if p == 0 {
		return false
	}
	if objects, leaves := f.holds(start, depth, arrays); objects && !leaves && f.doc[start] == '{' {
		return f.paths.all[p].objectFits // its members are looked at one by one
	}
	return f.wholeFits(start, p, depth, arrays)
}

// wholeFits reports whether all of an array is admitted.
func (f *Fitter) wholeFits(start int, p int32, depth, arrays int) bool {
	objects, leaves := f.holds(start, depth, arrays)
	switch {
	case leaves:
		return f.paths.all[p].leafFits
	case !objects:
		return true
	case !f.paths.all[p].objectFits:
		return false
	case f.doc[start] == '[':
		for m, ok := nextElement(f.doc, start+1); ok; m, ok = nextElement(f.doc, m.end) {
			if !f.wholeFits(m.start, p, depth, arrays+1) {
				return false
			}
		}
		return true
	}
	id := f.newObject()
	for m, ok := nextMember(f.doc, start+1); ok; m, ok = nextMember(f.doc, m.end) {
		inner, parts := f.resolve(m.key, p, depth, id)
		if inner == 0 || !f.wholeFits(m.start, inner, depth+parts, arrays) {
			return false
		}
	}
	return true
}
