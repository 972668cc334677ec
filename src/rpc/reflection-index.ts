import { type DescExtension, type DescFile, type DescMessage, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** What the files behind some services declare, found by name. Built once; lookups copy nothing. */
export class ReflectionIndex {
  /** Full names, in the order given. */
  readonly services: readonly string[];
  readonly #files = new Map<string, DescFile>();
  readonly #bytes = new Map<string, Uint8Array>();
  readonly #symbols = new Map<string, DescFile>();
  readonly #extensions = new Map<string, Map<number, DescFile>>();

  constructor(services: readonly DescService[]) {
    this.services = services.map((service) => service.typeName);
    for (const service of services) this.#addFile(service.file);
  }

  fileNamed(name: string): DescFile | undefined {
    return this.#files.get(name);
  }

  /** @param symbol full name of a message, field, oneof, enum, enum value, extension, service or method */
  fileDeclaring(symbol: string): DescFile | undefined {
    return this.#symbols.get(symbol);
  }

  fileExtending(messageName: string, fieldNumber: number): DescFile | undefined {
    return this.#extensions.get(messageName)?.get(fieldNumber);
  }

  /** `undefined` when there is no such message. */
  extensionNumbersOf(messageName: string): number[] | undefined {
    if (!this.#symbols.has(messageName)) return undefined;
    return [...(this.#extensions.get(messageName)?.keys() ?? [])];
  }

  /**
   * The descriptor of a file, then those of the files it needs, each after what is in `sent` already, to which they are
   * added. The file itself is always there.
   */
  descriptorsOf(file: DescFile, sent: Set<string>): Uint8Array[] {
    const descriptors: Uint8Array[] = [];
    const add = (one: DescFile) => {
      const name = one.proto.name;
      const bytes = this.#bytes.get(name);
      if (bytes === undefined || (one !== file && sent.has(name))) return;
      sent.add(name);
      descriptors.push(bytes);
      for (const dependency of one.dependencies) if (!sent.has(dependency.proto.name)) add(dependency);
    };
    add(file);
    return descriptors;
  }

  #addFile(file: DescFile): void {
    const name = file.proto.name;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    this.#bytes.set(name, toBinary(FileDescriptorProtoSchema, file.proto));
    for (const message of file.messages) this.#addMessage(message);
    for (const extension of file.extensions) this.#addExtension(extension);
    for (const desc of file.enums) this.#addEnum(desc);
    for (const service of file.services) {
      this.#symbols.set(service.typeName, file);
      for (const method of service.methods) this.#symbols.set(`${service.typeName}.${method.name}`, file);
    }
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }

  #addMessage(message: DescMessage): void {
    this.#symbols.set(message.typeName, message.file);
    for (const part of [...message.fields, ...message.oneofs]) {
      this.#symbols.set(`${message.typeName}.${part.name}`, message.file);
    }
    for (const field of message.fields) {
      // The message behind a map's entries is left out of nestedMessages.
      if (field.fieldKind === "map") this.#symbols.set(field.proto.typeName.replace(/^\./, ""), message.file);
    }
    for (const nested of message.nestedMessages) this.#addMessage(nested);
    for (const desc of message.nestedEnums) this.#addEnum(desc);
    for (const extension of message.nestedExtensions) this.#addExtension(extension);
  }

  #addEnum(desc: DescFile["enums"][number]): void {
    this.#symbols.set(desc.typeName, desc.file);
    // An enum's values are named beside the enum, not inside it.
    const scope = desc.typeName.slice(0, -desc.name.length);
    for (const value of desc.values) this.#symbols.set(`${scope}${value.name}`, desc.file);
  }

  #addExtension(extension: DescExtension): void {
    this.#symbols.set(extension.typeName, extension.file);
    const extendee = extension.extendee.typeName;
    const byNumber = this.#extensions.get(extendee) ?? new Map<number, DescFile>();
    byNumber.set(extension.number, extension.file);
    this.#extensions.set(extendee, byNumber);
  }
}
