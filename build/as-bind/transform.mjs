// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * Writes the `as-bind_bindings` custom section that the as-bind runtime reads: for every exported function with a string
 * or array in its signature (the cold surface) its parameter and result types, and the class ids of the managed ones.
 * Functions of numbers and addresses (the hot surface) are called directly and stay out of it.
 *
 * as-bind 0.8.2 ships such a transform as CommonJS for AssemblyScript up to 0.19; its entry asks for a module that is
 * gone. This one speaks the transform interface of AssemblyScript 0.28. The core imports nothing, so imports need none.
 */
import { CommonFlags, NodeKind } from "assemblyscript";
import { Transform } from "assemblyscript/transform";

const managedClass = (type) => (type.isManaged ? type.getClass() : null);
const typeName = (type) => managedClass(type)?.internalName ?? type.toString();

/** The managed class of a type and of its type arguments, by name. */
function collectTypeIds(type, into) {
  const managed = managedClass(type);
  if (!managed || managed.internalName in into) return;
  into[managed.internalName] = { id: managed.id, byteSize: managed.nextMemoryOffset };
  for (const argument of managed.typeArguments ?? []) collectTypeIds(argument, into);
}

/** What a file exports by name, and of what it exports as a whole the same. */
function* exportsOf(file) {
  yield* file.exports ?? [];
  for (const whole of file.exportsStar ?? []) yield* exportsOf(whole);
}

export default class AsBindTransform extends Transform {
  afterCompile(module) {
    const typeIds = {};
    const exportedFunctions = {};
    for (const [name, element] of this.exportedFunctions()) {
      const { parameterTypes, returnType } = element.signature;
      if (![...parameterTypes, returnType].some(managedClass)) continue;
      for (const type of [...parameterTypes, returnType]) collectTypeIds(type, typeIds);
      exportedFunctions[name] = { returnType: typeName(returnType), parameters: parameterTypes.map(typeName) };
    }
    const text = JSON.stringify({ typeIds, importedFunctions: {}, exportedFunctions });
    module.addCustomSection("as-bind_bindings", new TextEncoder().encode(text));
  }

  /** Compiled functions that the entry file exports, under the names it exports them by. */
  *exportedFunctions() {
    for (const file of this.program.filesByName.values()) {
      if (file.source.sourceKind !== 1 /* SourceKind.UserEntry */) continue;
      for (const [name, element] of exportsOf(file)) {
        if (element.declaration?.kind !== NodeKind.FunctionDeclaration || element.is(CommonFlags.Declare)) continue;
        const instance = element.instances?.get("");
        if (!instance) throw new Error(`as-bind cannot describe ${name}: generic functions cannot be exported`);
        yield [name, instance];
      }
    }
  }
}
