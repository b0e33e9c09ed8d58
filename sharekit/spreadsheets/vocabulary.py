"""Words of people's languages: headers of columns, decisions, yes and no, states of a share.

One table, a language each. To add a language, add one :class:`Language`; to add a word, write it
where its kind stands. Only words that can mean nothing else belong here, and a header belongs to
one field in all languages. Case, accents, blanks and punctuation of headers do not matter; of other
words case does not, and a word with accents is known without them too (``abgelehnt`` as
``ABGELEHNT``, ``refusé`` as ``refuse``, ``zurückgewiesen`` as ``zurueckgewiesen``).

In a list, words before a semicolon are clear; words after it are vague. A vague header serves a
field only if no clear one does: ``ID`` may be anything's ID. A clear decision word is a participle,
which can describe a share's present state as well; a vague one only demands something.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from sharekit.core.actions import DECISION_OF_ACTION, REJECTED, SKIP
from sharekit.core.errors import UsageError


@dataclass(frozen=True)
class Language:
    """The words of one language; each list is separated by commas.

    Attributes
    ----------
    headers : Mapping of str to str
        Field -> headers it is known by, the most specific first. ``project_name`` is no field: such
        a column only says what people call a project.
    states : str
        Headers of a share's present state; without any column for a decision they are its headers.
    decisions : Mapping of str to str
        Action -> words for it; only unambiguous ones, since each is sent as this action.
    yes, no : str
        Words for a full-ECS image, and for any other image.
    pending : str
        Words for a share that nobody has decided on.
    of_owner, of_past, of_target, of_names : str
        Words that tell what a header means if they stand in brackets behind it: the owner's,
        how things are or were, how they are to be, names instead of IDs.
    of_earlier : str
        Words for what was valid once and is no more. As those of `of_void` and `of_off` they may
        stand in a header, a title or a sheet's name; words with a blank may stand within others.
    of_void : str
        Words for what does not count: drafts and examples.
    of_off : str
        Words for what was called off. A column of yes and no under such a header says no by yes;
        under those after a semicolon also to a rejection, of which nothing is to be sent either.
    of_answers : str
        Headers of yes and no under which no calls a share off; after a semicolon those under which
        yes does, and after another one those under which it calls off a rejection, too.
    of_final : str
        Words that make a decision the last one; those after a semicolon may be of another one.
    of_advice : str
        Words that make a decision one that somebody only advises or asks for.
    of_form : str
        Words in brackets that only say what to write, and leave the header's meaning as it is.
    of_state : str
        Words that tell whose state a header means; with such words alone it is no decision.
    of_records : str
        Words in a title, or a sheet's name, over what was or is, and is not to be decided: logs,
        copies, what was sent; after a semicolon those for the present state.
    of_titles : str
        Words of titles and sheets' names that do not change what others of them say.
    of_bodies : str
        Who decides, in brackets behind a header.
    of_dates, of_persons : str
        Headers of the time of a change and of who made it, as logs have them.
    of_denial : str
        Words that turn a decision around.
    of_nothing : str
        Words that people write where a reason has to stand, and that give none.
    """

    headers: Mapping[str, str]
    states: str
    decisions: Mapping[str, str]
    yes: str
    no: str
    pending: str
    of_owner: str
    of_past: str
    of_target: str
    of_names: str
    of_earlier: str
    of_void: str
    of_off: str
    of_answers: str
    of_final: str
    of_advice: str
    of_form: str
    of_state: str
    of_records: str
    of_titles: str
    of_bodies: str
    of_dates: str
    of_persons: str
    of_denial: str
    of_nothing: str


LANGUAGES: Final[Mapping[str, Language]] = {
    "English": Language(
        headers={
            "image_id": "image id, image uuid, shared image id; uuid, id, image",
            "project_id": "project id, member id, member project id, target project id, "
            "project uuid, tenant id, member, target project, project, tenant",
            "status": "decision, verdict, new status, target status, wanted status, "
            "desired status, accept or reject, accept/reject, final decision, your decision, "
            "our decision, to be, approval; action, override",
            "vault_id": "vault id, cbr vault id, vault uuid, backup vault id, cbr vault, "
            "backup vault, vault",
            "whole_image": "whole image, full ecs image, full ecs, is whole image, "
            "is full ecs image, full server image",
            "region": "region, region id, region name",
            "name": "image name; name",
            "project_name": "project name, tenant name, name of project, name of the project",
            "owner": "owner id, owner project id, source project id, owner, owner project, "
            "source project, shared by",
        },
        states="status, member status",
        decisions={
            "accepted": "accepted, approved; accept, accepts, approve, yes, y, ok, okay",
            "rejected": "rejected, declined, denied, refused; reject, rejects, decline, deny, "
            "refuse, no, n",
            "share": "; share, shares, add member",
            "unshare": "; unshare, unshares, un-share, stop sharing, withdraw, withdraws, "
            "remove member",
        },
        yes="true, yes, y, 1, x, t",
        no="false, no, n, 0, f, -",
        pending="pending",
        of_owner="owner, owners, owned, owning, source, sharing",
        of_past="current, currently, present, now, existing, actual, before, first, initial",
        of_target="new, target, wanted, desired, latest, to be, should be",
        of_names="name, names",
        of_earlier="old, previous, former, earlier, obsolete, superseded, replaced, outdated, "
        "deprecated, expired, archived, no longer valid, last year, last month, last time, "
        "last round",
        of_void="example, examples, sample, samples, draft, drafts, not used, not valid, not final",
        of_off="withdrawn, revoked, deleted, removed, veto, vetoed, blocked, excluded, exclude; "
        "cancelled, canceled, void, voided, invalid, discarded, skip, ignore, ignored, "
        "on hold, omit, omitted, suspended, do not use, do not send, do not process, "
        "not to be sent, not to be used",
        of_answers="valid, agreed, send, to be sent, ok to send, include, in scope, confirmed, "
        "final, binding, released, authorized, authorised, signed off; "
        "objection, objections, stop; postponed, superseded, obsolete, outdated, deprecated, "
        "expired, draft, example, wrong",
        of_final="final, definitive, binding; approved, agreed, corrected, correction, revised, "
        "amended, confirmed",
        of_advice="proposed, proposal, suggested, recommended, requested",
        of_form="required, mandatory, optional, please, choose, select, enter, fill, write, "
        "pick, one, of, or, and, in, the, a, an, if, only, your, you, yours, here, hex, "
        "hexadecimal, digits, characters, uuid, id, ids, text, format, list, value, "
        "values, empty, leave, blank, column, status, gb, gib",
        of_state="state, today, member, membership, image, share, sharing, shared, cloud, api, "
        "openstack, seen, of, in, the",
        of_records="log, logs, changelog, changes, history, archive, archives, backup, backups, "
        "bak, copy, copies, journal, audit trail, trash, sent, done; snapshot, snapshots, as is, "
        "current state, current status, present state, state today",
        of_titles="share, shares, sheet, table, list, lists, listing, tab, page, decision, "
        "decisions, approval, approvals, data, file, version, state, change, audit, from, for, "
        "at, on, as, these, this, those, all, following, below, are, is, to, be, do, must, should, "
        "section, part, rows, entries, items, jan, january, feb, february, mar, march, apr, "
        "april, may, jun, june, jul, july, aug, august, sep, september, oct, october, nov, "
        "november, dec, december, q",
        of_bodies="board, committee, council, management, manager, director, team, department, "
        "security, owner",
        of_dates="date, time, timestamp, when, changed on, changed at",
        of_persons="who, user, author, editor, changed by, edited by, modified by, updated by",
        of_denial="not, never, don t, dont",
        of_nothing="none, n/a, na, nil, null, nan, nothing, no reason, no comment, tbd, todo, "
        "ditto, same, same as above, see above, as above",
    ),
    "German": Language(
        headers={
            "image_id": "Image-Kennung, ID des Images, UUID des Images, Abbild-ID, Abbild-UUID, "
            "Abbildkennung, ID des Abbilds, Systemabbild-ID, Bild-ID; Abbild, Kennung",
            "project_id": "Projekt-ID, Projektkennung, Projekt-UUID, ID des Projekts, "
            "Mitglieds-ID, Mitglied-ID, ID des Mitglieds, Zielprojekt-ID, Mandanten-ID, "
            "Mandant-ID, Zielprojekt, Mitgliedsprojekt, Empfängerprojekt, Projekt, Mitglied, "
            "Mandant",
            "status": "Entscheidung, Beschluss, neuer Status, Zielstatus, gewünschter Status, "
            "Sollstatus, annehmen oder ablehnen, akzeptieren oder ablehnen, Ihre Entscheidung, "
            "unsere Entscheidung, endgültige Entscheidung, Soll, Freigabe, Freigabe erteilt, "
            "Genehmigung; Aktion",
            "vault_id": "Tresor-ID, Vault-Kennung, Sicherungstresor-ID, ID des Tresors, "
            "ID des Vaults, Backup-Tresor, Sicherungstresor, Tresor",
            "whole_image": "vollständiges Image, ganzes Image, gesamtes Image, "
            "vollständiges Abbild, Komplettabbild, ganzer Server, vollständiger Server",
            "region": "Regions-ID, Regionsname, Regionskennung",
            "name": "Name des Images, Abbildname, Name des Abbilds; Bezeichnung",
            "project_name": "Projektname, Name des Projekts, Mandantenname",
            "owner": "Eigentümer-ID, Besitzer-ID, Eigentümerprojekt-ID, Quellprojekt-ID, "
            "Eigentümer, Besitzer, Eigentümerprojekt, Besitzerprojekt, Quellprojekt, geteilt von",
        },
        states="Mitgliedsstatus, Mitgliedstatus",
        decisions={
            "accepted": "akzeptiert, angenommen, genehmigt, zugestimmt, freigegeben; "
            "akzeptieren, annehmen, anzunehmen, genehmigen, zustimmen, freigeben, ja",
            "rejected": "abgelehnt, zurückgewiesen, verweigert, verworfen; ablehnen, abzulehnen, "
            "zurückweisen, zurückzuweisen, verweigern, nein",
            "share": "; teilen, Mitglied hinzufügen",
            "unshare": "; nicht mehr teilen, Teilen beenden, Mitglied entfernen",
        },
        yes="ja, wahr",
        no="nein, falsch",
        pending="ausstehend, offen, unentschieden",
        of_owner="Eigentümer, Besitzer, Quelle, Quellprojekt",
        of_past="aktuell, aktuelle, aktueller, derzeit, derzeitiger, gegenwärtiger, heutiger, "
        "bisher, bisherige, bisheriger, vorher, jetzt, Ist",
        of_target="neu, neue, neuer, neues, Ziel, Soll, gewünscht",
        of_names="Namen",
        of_earlier="alt, alte, alter, altes, alten, veraltet, vorige, voriger, vorherige, "
        "vorheriger, früher, früherer, ehemals, überholt, ersetzt, nicht mehr gültig, "
        "letztes Jahr, Vorjahr",
        of_void="Beispiel, Beispiele, Muster, Entwurf, Entwürfe, nicht gültig, nicht endgültig",
        of_off="zurückgezogen, widerrufen, gelöscht, entfernt, Veto, gesperrt, ausgeschlossen; "
        "storniert, ungültig, verworfene, überspringen, zurückgestellt, abgesagt, "
        "ignorieren, ignoriert, auslassen, ausgesetzt, nicht berücksichtigen, "
        "nicht verwenden, nicht senden, "
        "nicht versenden, nicht zu senden",
        of_answers="gültig, vereinbart, senden, versenden, zu senden, einbeziehen, bestätigt, "
        "endgültig, verbindlich; "
        "Einwand, Einwände, Einspruch; verschoben, überholt, veraltet, abgelaufen, Entwurf, "
        "Beispiel, falsch",
        of_final="endgültig, endgültige, endgültiger, endgültiges, final, finale, finaler, "
        "verbindlich; bestätigt, bestätigte, bestätigter, vereinbart, vereinbarter, korrigiert, "
        "korrigierte, korrigierter, berichtigt, geändert, geänderter, genehmigt, freigegeben",
        of_advice="vorgeschlagen, vorgeschlagene, Vorschlag, empfohlen, "
        "empfohlene, Empfehlung, beantragt",
        of_form="Pflicht, Pflichtfeld, erforderlich, bitte, wählen, auswählen, ausfüllen, "
        "eintragen, oder, und, nur, hexadezimal, Stellen, Ziffern, Zeichen, Format, "
        "Wert, leer, lassen, Ihre, hier",
        of_state="Zustand, heute, Mitglied, Mitglieds, Abbild, Freigabe, Freigabestatus, des, im",
        of_records="Historie, Änderungshistorie, Verlauf, Änderungsverlauf, Protokoll, "
        "Änderungsprotokoll, Änderungen, Logbuch, Archiv, archiviert, Sicherung, "
        "Sicherungskopie, Papierkorb, Kopie, Kopien, gesendet, versendet, erledigt, fertig; "
        "Schnappschuss, Ist, Iststand, Istzustand, Stand heute, aktueller Stand, "
        "aktueller Zustand, derzeitiger Stand",
        of_titles="Freigabe, Freigaben, Blatt, Tabelle, Liste, Entscheidung, Entscheidungen, "
        "Daten, Datei, Version, Stand, Zustand, von, vom, zu, zum, für, am, der, die, das, den, "
        "diese, alle, folgende, sind, ist, werden, bitte, Zeilen, Abschnitt, Teil, Januar, "
        "Februar, März, Mai, Juni, Juli, Oktober, Dezember, Okt, Dez",
        of_bodies="Vorstand, Gremium, Ausschuss, Leitung, Geschäftsführung, Beirat, Abteilung",
        of_dates="Datum, Zeit, Zeitpunkt, Zeitstempel, wann, geändert am",
        of_persons="wer, Benutzer, Bearbeiter, geändert von, Autor",
        of_denial="nicht, nie",
        of_nothing="keine, keiner, kein, kein Grund, nichts, entfällt, k.A., o.A., dito, "
        "siehe oben, wie oben",
    ),
    "French": Language(
        headers={
            "image_id": "ID de l'image, ID d'image, ID image, identifiant de l'image, "
            "identifiant image, UUID de l'image, UUID image; identifiant",
            "project_id": "ID du projet, ID de projet, ID projet, identifiant du projet, "
            "identifiant projet, UUID du projet, ID du membre, ID membre, ID du projet cible, "
            "ID du locataire, "
            "projet cible, projet destinataire, membre, projet, locataire",
            "status": "décision, verdict, nouveau statut, statut cible, statut souhaité, "
            "statut demandé, "
            "accepter ou refuser, accepter ou rejeter, décision finale, votre décision, "
            "notre décision, approbation",
            "vault_id": "ID du coffre, ID coffre, identifiant du coffre, ID du coffre-fort, "
            "coffre de sauvegarde, coffre-fort, coffre",
            "whole_image": "image complète, image entière, image serveur complète, serveur complet",
            "region": "région, ID de la région, ID de région, nom de la région",
            "name": "nom de l'image, nom d'image, nom image; nom",
            "project_name": "nom du projet, nom de projet, nom projet",
            "owner": "ID du propriétaire, identifiant du propriétaire, ID du projet source, "
            "ID du projet propriétaire, propriétaire, projet propriétaire, projet source, "
            "partagé par",
        },
        states="statut, statut du membre, état, état du membre",
        decisions={
            "accepted": "accepté, acceptée, acceptés, acceptées, approuvé, approuvée; accepter, "
            "approuver, oui",
            "rejected": "refusé, refusée, refusés, refusées, rejeté, rejetée; refuser, rejeter, "
            "non",
            "share": "; partager, ajouter le membre",
            "unshare": "; ne plus partager, arrêter le partage, retirer le membre",
        },
        yes="oui, vrai",
        no="non, faux",
        pending="en attente",
        of_owner="propriétaire, source, origine",
        of_past="actuel, actuelle, existant, avant",
        of_target="nouveau, nouvelle, cible, souhaité",
        of_names="nom, noms",
        of_earlier="ancien, ancienne, anciens, anciennes, précédent, précédente, obsolète, "
        "obsolètes, remplacé, périmé, année dernière",
        of_void="exemple, exemples, brouillon, brouillons, non valide, non définitif, "
        "non définitive",
        of_off="retiré, retirée, retirés, retirées, révoqué, révoquée, supprimé, supprimée, "
        "supprimés, supprimées, veto, véto, bloqué, bloquée, exclu, exclue; "
        "annulé, annulée, annulés, annulées, invalide, suspendu, en suspens, ignorer, "
        "à ignorer, omettre, ne pas utiliser, ne pas envoyer",
        of_answers="valide, valable, envoyer, à envoyer, inclure, confirmé, confirmée, définitif; "
        "objection, objections, opposition; reporté, obsolète, périmé, brouillon, exemple",
        of_final="final, finale, définitif, définitive; approuvé, convenu, corrigé, corrigée, "
        "révisé, révisée, confirmé, confirmée",
        of_advice="proposé, proposée, proposition, suggéré, suggérée, recommandé, demandé",
        of_form="obligatoire, requis, facultatif, choisir, remplir, ou, et, chiffres, "
        "caractères, valeur, vide, format",
        of_state="état, membre, du, de, image, partage",
        of_records="historique, journal, archives, archivé, sauvegarde, corbeille, copie, envoyé, "
        "envoyés, envoyées, terminé, modifications; instantané, état actuel, statut actuel, "
        "situation actuelle",
        of_titles="partage, partages, feuille, tableau, liste, décisions, données, fichier, "
        "version, état, ne, du, de, des, la, le, les, à, pour, ces, tous, toutes, sont, est, "
        "lignes, janvier, février, mars, avril, mai, juin, juillet, août, septembre, octobre, "
        "novembre, décembre",
        of_bodies="comité, conseil, direction, équipe",
        of_dates="date, heure, horodatage, quand, modifié le",
        of_persons="qui, utilisateur, auteur, modifié par",
        of_denial="pas, jamais",
        of_nothing="aucun, aucune, aucune raison, néant, rien, sans objet, idem, voir ci-dessus",
    ),
    "Spanish": Language(
        headers={
            "image_id": "ID de imagen, ID de la imagen, ID imagen, identificador de imagen, "
            "identificador de la imagen, UUID de imagen, UUID de la imagen; identificador, imagen",
            "project_id": "ID de proyecto, ID del proyecto, ID proyecto, "
            "identificador de proyecto, identificador del proyecto, UUID del proyecto, "
            "ID de miembro, ID del miembro, ID del proyecto de destino, ID del inquilino, "
            "proyecto de destino, proyecto destino, miembro, proyecto, inquilino",
            "status": "decisión, veredicto, nuevo estado, estado deseado, estado objetivo, "
            "aceptar o rechazar, decisión final, su decisión, nuestra decisión, aprobación; acción",
            "vault_id": "ID de bóveda, ID de la bóveda, identificador de la bóveda, "
            "ID del almacén, bóveda de copias de seguridad, bóveda de respaldo, bóveda",
            "whole_image": "imagen completa, imagen de servidor completo, servidor completo",
            "region": "región, ID de región, ID de la región, nombre de la región",
            "name": "nombre de imagen, nombre de la imagen, nombre imagen; nombre",
            "project_name": "nombre del proyecto, nombre de proyecto, nombre proyecto",
            "owner": "ID de propietario, ID del propietario, ID del proyecto de origen, "
            "ID del proyecto propietario, propietario, proyecto propietario, proyecto de origen, "
            "proyecto origen, compartido por",
        },
        states="estado, estado del miembro",
        decisions={
            "accepted": "aceptado, aceptada, aceptados, aceptadas, aprobado, aprobada; aceptar, "
            "aprobar, sí",
            "rejected": "rechazado, rechazada, rechazados, rechazadas, denegado, denegada; "
            "rechazar, denegar",
            "share": "; compartir, añadir miembro",
            "unshare": "; dejar de compartir, quitar miembro",
        },
        yes="sí, verdadero",
        no="falso",
        pending="pendiente",
        of_owner="propietario, origen",
        of_past="actual, actualmente, existente, antes",
        of_target="nuevo, nueva, destino, objetivo, deseado",
        of_names="nombre, nombres",
        of_earlier="anterior, antiguo, antigua, antiguos, antiguas, obsoleto, obsoleta, "
        "sustituido, reemplazado, caducado, año pasado",
        of_void="ejemplo, ejemplos, borrador, borradores, no válido, no válida, no definitivo, "
        "no definitiva",
        of_off="retirado, retirada, retirados, retiradas, revocado, revocada, eliminado, "
        "eliminada, borrado, borrada, veto, bloqueado, bloqueada, excluido; "
        "anulado, anulada, anulados, anuladas, cancelado, cancelada, cancelados, "
        "canceladas, inválido, suspendido, en espera, ignorar, omitir, "
        "no usar, no enviar",
        of_answers="válido, válida, vigente, enviar, incluir, confirmado, confirmada, definitivo; "
        "objeción, objeciones; aplazado, pospuesto, obsoleto, caducado, borrador, ejemplo",
        of_final="final, definitivo, definitiva; acordado, corregido, corregida, revisado, "
        "revisada, confirmado, confirmada, aprobado, aprobada",
        of_advice="propuesto, propuesta, sugerido, sugerida, recomendado, solicitado",
        of_form="obligatorio, requerido, opcional, elegir, rellenar, o, y, dígitos, caracteres, "
        "valor, vacío, formato",
        of_state="miembro, imagen, del, de, la, compartición",
        of_records="historial, histórico, registro, bitácora, respaldo, papelera, archivado, "
        "copia, enviado, enviados, enviadas, hecho, cambios; instantánea, estado actual, "
        "situación actual",
        of_titles="recursos, compartidos, hoja, tabla, lista, decisiones, datos, archivo, versión, "
        "estado, de, del, la, el, los, las, para, por, estos, estas, todos, todas, son, filas, "
        "enero, febrero, marzo, abril, mayo, junio, julio, agosto, septiembre, octubre, noviembre, "
        "diciembre",
        of_bodies="comité, consejo, junta, dirección, equipo",
        of_dates="fecha, hora, cuándo, modificado el",
        of_persons="quién, usuario, autor, modificado por",
        of_denial="no, nunca",
        of_nothing="ninguno, ninguna, nada, sin motivo, no aplica, ídem, véase arriba",
    ),
    "Chinese": Language(
        headers={
            "image_id": "镜像ID, 镜像UUID, 镜像编号, 镜像标识, 共享镜像ID, 鏡像ID, 映像ID; "
            "镜像, 鏡像, 映像",
            "project_id": "项目ID, 目标项目ID, 成员ID, 成员项目ID, 项目编号, 租户ID, 專案ID, "
            "項目ID, 目标项目, 成员项目, 成员, 项目, 租户, 專案, 項目",
            "status": "决定, 决策, 新状态, 目标状态, 期望状态, 接受或拒绝, 是否接受, 決定, "
            "最终决定; 操作",
            "vault_id": "存储库ID, 保管库ID, 备份存储库ID, 云备份存储库ID, 存储库, 备份存储库, "
            "保管库, 儲存庫ID",
            "whole_image": "整机镜像, 是否整机镜像, 完整镜像, 整機鏡像",
            "region": "区域, 区域ID, 区域名称, 地域, 區域",
            "name": "镜像名称, 镜像名, 鏡像名稱; 名称, 名稱",
            "project_name": "项目名称, 项目名, 租户名称, 專案名稱, 項目名稱",
            "owner": "所有者ID, 拥有者ID, 源项目ID, 所有者项目ID, 所有者, 拥有者, 源项目, "
            "所有者项目, 共享者, 擁有者",
        },
        states="状态, 成员状态, 狀態",
        decisions={
            "accepted": "已接受, 已同意, 已批准; 接受, 同意, 批准, 是",
            "rejected": "已拒绝, 已拒絕, 已驳回; 拒绝, 拒絕, 不接受, 不同意, 不批准, 驳回, 否",
            "share": "; 共享, 分享, 添加成员",
            "unshare": "; 取消共享, 停止共享, 删除成员",
        },
        yes="是, 真",
        no="否, 假",
        pending="待接受, 待处理, 等待接受, 未决定",
        of_owner="所有者, 拥有者, 来源, 源, 源项目, 所有者项目",
        of_past="当前, 目前, 现在, 原, 當前",
        of_target="新, 最新, 目标, 期望",
        of_names="名称, 名稱",
        of_earlier="旧, 舊, 失效, 过期, 已替代, 去年",
        of_void="示例, 例, 草稿, 未定稿",
        of_off="撤回, 已撤回, 撤销, 已删除, 否决, 排除; 作废, 作廢, 已取消, 无效, 暂停, 搁置, "
        "忽略, 跳过, 勿用, 勿发, 不要发送, 请勿发送",
        of_answers="有效, 发送, 已确认; 异议; 推迟, 过期, 失效, 草稿, 示例",
        of_final="最终, 最終; 修订, 更正",
        of_advice="建议, 提议, 建議",
        of_form="必填, 选填, 请, 或, 位, 十六进制, 填写, 选择",
        of_state="成员, 镜像, 共享",
        of_records="历史, 歷史, 日志, 日誌, 记录, 归档, 存档, 备份, 備份, 副本, 已发送, 已完成, "
        "完成, 变更; 快照, 现状, 当前状态, 目前状态",
        of_titles="共享, 分享, 表, 清单, 列表, 决定, 数据, 版本, 状态, 的, 年, 月, 日",
        of_bodies="董事会, 委员会, 管理层, 部门",
        of_dates="日期, 时间, 時間",
        of_persons="谁, 用户, 操作人, 修改人",
        of_denial="不, 未",
        of_nothing="无, 没有, 不适用, 同上",
    ),
}


#: How Germans write umlauts without them.
_UMLAUTS: Final = {ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss"}


def split_words(words: str) -> list[str]:
    """Return the words of a list: those before and after the semicolon, in order.

    >>> split_words("image id, image uuid; id")
    ['image id', 'image uuid', 'id']
    """
    return [word.strip() for word in re.split("[,;]", words) if word.strip()]


def spellings(word: str) -> Iterator[str]:
    """Yield a word in lower case as it is written, and without accents.

    >>> [*spellings("Zurückgewiesen")]
    ['zurückgewiesen', 'zuruckgewiesen', 'zurueckgewiesen']
    """
    lower = unicodedata.normalize("NFC", word).lower()
    spelled = lower.translate(_UMLAUTS)
    yield from dict.fromkeys([lower, without_accents(lower), without_accents(spelled)])


def without_accents(text: str) -> str:
    """Return a text without its accents.

    >>> without_accents("décision")
    'decision'
    """
    parts = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.combining(c)))


def _known(*lists: str) -> Iterator[str]:
    for words in lists:
        for word in split_words(words):
            yield from spellings(word)


def _parts(words: str) -> tuple[str, str]:
    clear, _, vague = words.partition(";")
    return clear, vague


_ALL: Final = tuple(LANGUAGES.values())
#: Words people write for an action -> the action; each use of another than the action's own name
#: is reported as a repair.
STATUS_WORDS: Final[Mapping[str, str]] = {
    word: action
    for language in _ALL
    for action, words in language.decisions.items()
    for word in _known(words)
}
#: Words of a reviewer -> the decision: every word of an inventory, and what only a reviewer says.
DECISION_WORDS: Final[Mapping[str, str]] = (
    dict.fromkeys(("", "as planned", "planned", "as plan", "default"), "")
    | {word: DECISION_OF_ACTION[action] for word, action in STATUS_WORDS.items()}
    | dict.fromkeys(("skip", "skipped", "leave", "leave out", "ignore", "hold", "later"), SKIP)
)
#: Why a word is refused; the sentence begins with the word, or with its cell.
NO_DECISION: Final = (
    "is no decision: write accept or reject, share or unshare where the owner acts, skip, or "
    "nothing for what the inventory says"
)
#: Why a reason that stands alone is refused.
NO_USE: Final = "is a reason without a decision; choose a decision beside it, or clear the reason"
#: What the checks of an inventory take away as well: what nobody sees, and quotes around a word.
_INVISIBLE: Final = re.compile("[\xad\u200b-\u200e\u2060\ufeff]")
QUOTES: Final = "{}()[]<>\"'`\u201c\u201d\u2018\u2019 "
#: Words for an action that may as well describe the state that a share is in.
PARTICIPLES: Final = frozenset(
    word for lang in _ALL for words in lang.decisions.values() for word in _known(_parts(words)[0])
)
#: Words for an action that are nothing else; short ones (yes, no, ok) tick off other things.
CLEAR_DECISIONS: Final = {
    word: action
    for word, action in STATUS_WORDS.items()
    if word not in {*_known(*(f"{lang.yes},{lang.no}" for lang in _ALL))}
    and (len(word) > 5 or action == REJECTED or not word.isascii())
}
PENDING_WORDS: Final = frozenset(_known(*(language.pending for language in _ALL)))
TRUE_WORDS: Final = frozenset(_known(*(language.yes for language in _ALL)))
FALSE_WORDS: Final = frozenset({"", *_known(*(language.no for language in _ALL))})
#: Words in brackets behind a header, by what they make of it.
OWNER_REMARKS: Final = frozenset(_known(*(language.of_owner for language in _ALL)))
EARLIER_WORDS: Final = frozenset(_known(*(language.of_earlier for language in _ALL)))
OFF_WORDS: Final = frozenset(_known(*(language.of_off for language in _ALL)))
VOID_WORDS: Final = OFF_WORDS | frozenset(_known(*(language.of_void for language in _ALL)))
PAST_REMARKS: Final = (
    EARLIER_WORDS | VOID_WORDS | frozenset(_known(*(language.of_past for language in _ALL)))
)
_WANTED: Final = frozenset(_known(*(language.of_target for language in _ALL)))
TARGET_REMARKS: Final = _WANTED | frozenset(
    _known(*(split_words(language.headers["status"])[0] for language in _ALL))
)
NAME_REMARKS: Final = frozenset(_known(*(language.of_names for language in _ALL)))
CONSENTS, OBJECTIONS, _MOOT = (
    frozenset(_known(*(lang.of_answers.split(";")[i] for lang in _ALL))) for i in range(3)
)
#: Words of headers of yes and no that speak against sending anything, a rejection included.
STOPS: Final = CONSENTS | _MOOT | frozenset(_known(*(_parts(lang.of_off)[1] for lang in _ALL)))
FINAL_WORDS: Final = frozenset(_known(*(language.of_final for language in _ALL)))
#: Words that make a decision the one that counts, where the same header stands without them.
LATEST_WORDS: Final = _WANTED | frozenset(_known(*(_parts(lang.of_final)[0] for lang in _ALL)))
ADVICE_WORDS: Final = frozenset(_known(*(language.of_advice for language in _ALL)))
FORM_WORDS: Final = frozenset(_known(*(language.of_form for language in _ALL)))
STATE_WORDS: Final = frozenset(_known(*(language.of_state for language in _ALL)))
AS_IS_WORDS: Final = frozenset(_known(*(_parts(lang.of_records)[1] for lang in _ALL)))
RECORD_WORDS: Final = frozenset(_known(*(language.of_records for language in _ALL)))
TITLE_WORDS: Final = FORM_WORDS | frozenset(_known(*(language.of_titles for language in _ALL)))
BODY_REMARKS: Final = frozenset(_known(*(language.of_bodies for language in _ALL)))
DATE_HEADERS: Final = frozenset(_known(*(language.of_dates for language in _ALL)))
PERSON_HEADERS: Final = frozenset(_known(*(language.of_persons for language in _ALL)))
DENIALS: Final = frozenset(_known(*(language.of_denial for language in _ALL)))
_NO_REASONS: Final = frozenset(
    re.sub(r"[\W_]", "", word) for lang in _ALL for word in ("", *_known(lang.of_nothing))
)
#: Headers of the present state of a share.
STATE_HEADERS: Final = tuple(word for lang in _ALL for word in split_words(lang.states))


@functools.cache
def pattern_of(words: frozenset[str]) -> re.Pattern[str]:
    """Return the expression for any of some words in a text of :func:`plain_text`.

    Words with letters beyond ASCII may stand within others: Chinese is written without blanks.
    """
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    bounded = (rf"\b{re.escape(w)}\b" if w.isascii() else re.escape(w) for w in longest_first)
    return re.compile("|".join(bounded))


def plain_text(text: str) -> str:
    """Return the words of a text in lower case, without numbers and punctuation.

    >>> plain_text("SharesBackup_2025 (old)")
    'shares backup old'
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFC", text))
    return re.sub(r"[\W\d_]+", " ", apart).lower().strip()


def says(text: str, words: frozenset[str]) -> bool:
    """Return True if any of some words stands in a text.

    >>> says("Decision_old", EARLIER_WORDS), says("Gold", EARLIER_WORDS)
    (True, False)
    """
    return pattern_of(words).search(plain_text(text)) is not None


def headers_of(field: str) -> tuple[list[str], list[str]]:
    """Return the clear and the vague headers of a field in all languages, the best first.

    A state's headers are the decision's where none is clear; they come before an action's.

    >>> headers_of("image_id")[0][0], headers_of("image_id")[1][:2]
    ('image id', ['uuid', 'id'])
    """
    parts = [_parts(language.headers.get(field, "")) for language in _ALL]
    clear = [word for words, _ in parts for word in split_words(words)]
    vague = [word for _, words in parts for word in split_words(words)]
    if field == "status":
        vague = [*STATE_HEADERS, *vague]
    return clear, vague


def read_decision(word: object) -> str:
    """Return the decision, one of :data:`~.actions.DECIDABLE`, that a person's word stands for.

    The API, the panel, review sheets and frames all read their words by this.

    Raises
    ------
    UsageError
        It is no word for a decision; :data:`NO_DECISION` says which are.

    >>> read_decision(" Rejected "), read_decision("yes"), read_decision("As planned")
    ('reject', 'accept', '')
    """
    if isinstance(word, str):
        visible = _INVISIBLE.sub("", unicodedata.normalize("NFC", word))
        written = " ".join(visible.split())
        bare = written.strip(QUOTES)
        # Quotes around nothing are ditto marks, which mean the cell above.
        if (bare or not written) and bare.lower() in DECISION_WORDS:
            return DECISION_WORDS[bare.lower()]
    raise UsageError(f"{word!r:.80} {NO_DECISION}.")


def says_why(reasons: pd.Series) -> pd.Series:
    """Return True for each text that is a reason: not blank, a dash, or a word for nothing.

    >>> says_why(pd.Series(["owner left", " \u200b", "-", "n/a", "Keine.", None])).tolist()
    [True, False, False, False, False, False]
    """
    codes, texts = pd.factorize(reasons)
    bare = [re.sub(r"[\W_]", "", unicodedata.normalize("NFC", str(t))).lower() for t in texts]
    # The last one is for missing texts, whose code is -1.
    said = np.array([*(text not in _NO_REASONS for text in bare), False])
    return pd.Series(said[codes], reasons.index)
