"""Licence texts and notices that the tests of licences share: real ones, and what may be done to them."""

from importlib.util import find_spec
from pathlib import Path

TEXTS = Path(__file__).parent / "license_texts"
SCANCODE = Path(find_spec("licensedcode").origin).parent / "data"  # type: ignore[union-attr,arg-type]


def text(name: str) -> str:
    """A licence file as a package ships it, named after the licence and the package."""
    return (TEXTS / f"{name}.txt").read_text(encoding="utf-8")


def standard(key: str) -> str:
    """The text of a licence in ScanCode's database, for those that are too long to copy."""
    stored = (SCANCODE / "licenses" / f"{key}.LICENSE").read_text(encoding="utf-8")
    return stored.split("\n---\n", 1)[1].strip()


APACHE_NOTICE = """\
Copyright 2019 The Kubernetes Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License."""

GPL_NOTICE = """\
Copyright (C) 1996, 2001 Free Software Foundation, Inc.

This program is free software; you can redistribute it and/or modify
it under the terms of the GNU General Public License as published by
the Free Software Foundation; either version 2 of the License, or
(at your option) any later version.

This program is distributed in the hope that it will be useful,
but WITHOUT ANY WARRANTY; without even the implied warranty of
MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
GNU General Public License for more details."""

CLASSPATH_NOTICE = """\
Copyright (c) 1997, 2023, Oracle and/or its affiliates. All rights reserved.
DO NOT ALTER OR REMOVE COPYRIGHT NOTICES OR THIS FILE HEADER.

This code is free software; you can redistribute it and/or modify it
under the terms of the GNU General Public License version 2 only, as
published by the Free Software Foundation.  Oracle designates this
particular file as subject to the "Classpath" exception as provided
by Oracle in the LICENSE file that accompanied this code.

This code is distributed in the hope that it will be useful, but WITHOUT
ANY WARRANTY; without even the implied warranty of MERCHANTABILITY or
FITNESS FOR A PARTICULAR PURPOSE.  See the GNU General Public License
version 2 for more details (a copy is included in the LICENSE file that
accompanied this code).

You should have received a copy of the GNU General Public License version
2 along with this work; if not, write to the Free Software Foundation,
Inc., 51 Franklin St, Fifth Floor, Boston, MA 02110-1301 USA."""

GO_NOTICE = """\
Copyright 2009 The Go Authors. All rights reserved.
Use of this source code is governed by a BSD-style
license that can be found in the LICENSE file."""


def commented(notice: str, sign: str) -> str:
    """A notice as a comment, each line behind a sign; `/*` makes a block."""
    if sign == "/*":
        return "/*\n" + "".join(f" * {line}".rstrip() + "\n" for line in notice.splitlines()) + " */\n"
    return "".join(f"{sign} {line}".rstrip() + "\n" for line in notice.splitlines())
